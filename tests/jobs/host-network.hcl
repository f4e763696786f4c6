# The host's own network, and a port that Nomad chose.
job "host-network" {
  group "group" {
    network {
      mode = "host"

      port "http" {
        host_network = "local"
      }
    }

    task "main" {
      driver = "exec2"

      config {
        command = "busybox"
        args    = ["httpd", "-f", "-p", "${NOMAD_PORT_http}", "-h", "${NOMAD_TASK_DIR}"]
      }

      template {
        destination = "local/index.html"
        data        = "served on the host's network"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
