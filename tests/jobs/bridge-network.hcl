# A network namespace of the group's own, with a port of the host that leads into it.
job "bridge-network" {
  group "group" {
    network {
      mode = "bridge"

      port "http" {
        to = 8080
      }
    }

    task "main" {
      driver = "exec2"

      config {
        command = "busybox"
        args    = ["httpd", "-f", "-p", "8080", "-h", "${NOMAD_TASK_DIR}"]
      }

      template {
        destination = "local/index.html"
        data        = "served from a bridge"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
