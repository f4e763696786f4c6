# Servers and search list of the job's own, in a network namespace of the group's own.
variable "view" {
  default = "host"
}

job "dns" {
  type = "batch"

  group "group" {
    network {
      mode = "bridge"

      dns {
        servers  = ["192.0.2.53"]
        searches = ["service.test"]
      }
    }

    task "main" {
      driver = "exec2"

      config {
        command = "cat"
        args    = ["/etc/resolv.conf"]
        view    = var.view
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
