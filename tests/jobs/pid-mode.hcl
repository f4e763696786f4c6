# The host's pid and ipc namespaces, instead of ones of the task's own.
job "pid-mode" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command  = "sleep"
        args     = ["infinity"]
        pid_mode = "host"
        ipc_mode = "host"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "private" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
