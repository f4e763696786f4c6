# A static web server for a directory of the host, which it may read and nothing else.
variable "view" {
  default = "host"
}

job "static-web" {
  group "group" {
    network {
      port "http" {
        host_network = "local"
      }
    }

    task "main" {
      driver = "exec2"

      config {
        command = "python3"
        args    = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv/www", "${NOMAD_PORT_http}"]
        unveil  = ["r:/srv/www"]
        view    = var.view
      }

      resources {
        cpu    = 1000
        memory = 64
      }
    }
  }
}
