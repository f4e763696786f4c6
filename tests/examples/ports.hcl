# A server that may listen on its own port and connect to none: should somebody take it over, it calls nobody.
#
# Needs: busybox on the host, and a kernel from 6.7 (Landlock ABI 4); elsewhere the job is not placed.
job "ports" {
  constraint {
    attribute = "${attr.driver.exec2.landlock.abi}"
    operator  = ">="
    value     = "4"
  }

  group "web" {
    network {
      port "http" {
        static = 8080
      }
    }

    task "server" {
      driver = "exec2"

      config {
        command     = "busybox"
        args        = ["httpd", "-f", "-p", "8080", "-h", "${NOMAD_TASK_DIR}"]
        bind_tcp    = [8080]
        connect_tcp = []
        udp         = false
      }

      template {
        destination = "local/index.html"
        data        = "served on the only port\n"
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
