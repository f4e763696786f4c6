# One TCP port to listen on, none to connect to; and the other way round. Needs a kernel of 6.7 or later.
job "ports" {
  group "group" {
    network {
      port "http" {
        static       = 8080
        host_network = "local"
      }
    }

    task "server" {
      driver = "exec2"

      config {
        command     = "busybox"
        args        = ["httpd", "-f", "-p", "127.0.0.1:8080", "-h", "${NOMAD_TASK_DIR}"]
        bind_tcp    = [8080]
        connect_tcp = []
      }

      template {
        destination = "local/index.html"
        data        = "served on the only port"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "client" {
      driver = "exec2"

      config {
        command     = "sleep"
        args        = ["infinity"]
        bind_tcp    = []
        connect_tcp = [8080]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
