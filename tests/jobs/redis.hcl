# Redis with its data in the task's directory.
variable "view" {
  default = "host"
}

job "redis" {
  group "group" {
    network {
      port "redis" {
        host_network = "local"
      }
    }

    task "main" {
      driver       = "exec2"
      kill_signal  = "SIGTERM"
      kill_timeout = "20s"

      # It saves its data when it is told to end.
      config {
        command = "redis-server"
        args    = ["--bind", "127.0.0.1", "--port", "${NOMAD_PORT_redis}", "--dir", "${NOMAD_TASK_DIR}", "--save", "3600 1"]
        view    = var.view
      }

      resources {
        cpu    = 500
        memory = 64
      }
    }
  }
}
