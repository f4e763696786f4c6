# Starts in a directory of its own choice; relative to the task's directory here.
job "work-dir" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command  = "sh"
        args     = ["-c", "pwd; echo $NOMAD_WORK_DIR; cat word; exec sleep infinity"]
        work_dir = "local/app"
      }

      template {
        destination = "local/app/word"
        data        = "found\n"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
