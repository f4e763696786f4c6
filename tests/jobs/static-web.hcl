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

      # Python reads the host's types of files, if there are any; that it may not would be an error to it.
      config {
        command = "python3"
        args    = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv/www", "${NOMAD_PORT_http}"]
        unveil  = ["r:/srv/www", "?r:/etc/mime.types"]
        view    = var.view
      }

      resources {
        cpu    = 1000
        memory = 64
      }
    }
  }
}
