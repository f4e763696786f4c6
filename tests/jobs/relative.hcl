# A job of the Go driver, exec or raw_exec, whose paths are relative to the task's directory. For all jobs: the plugin's default_work_dir = "task".
job "relative" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command  = "sh"
        args     = ["local/script"]
        work_dir = "."
      }

      template {
        destination = "local/script"
        data        = "echo found; exec sleep infinity\n"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
