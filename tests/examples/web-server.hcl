# A web server for a directory of the host, which it may read and nothing else.
#
# Needs: python3 on the host, unveil_by_task = true in the plugin's configuration, and something to serve:
#   mkdir -p /srv/www && echo hello >/srv/www/index.html
job "web-server" {
  group "web" {
    # Nomad chooses a free port and tells it in NOMAD_PORT_http.
    network {
      port "http" {}
    }

    # Nomad looks whether it answers, and says so in `nomad service info` and `nomad alloc checks`.
    service {
      name     = "web-server"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/"
        interval = "10s"
        timeout  = "5s"
      }
    }

    task "server" {
      driver = "exec2"

      config {
        command = "python3"
        args    = ["-m", "http.server", "--directory", "/srv/www", "${NOMAD_PORT_http}"]
        unveil  = ["r:/srv/www"]
      }

      resources {
        cpu    = 300
        memory = 64
      }
    }
  }
}
