# Three tasks; each ends with exit code 7 once its file is there, whether or not anyone watches.
job "ender" {
  type = "batch"

  group "group" {
    count = 3

    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "until [ -e $NOMAD_TASK_DIR/end ]; do sleep 0.5; done; exit 7"]
      }

      resources {
        cpu    = 100
        memory = 32
      }
    }
  }
}
