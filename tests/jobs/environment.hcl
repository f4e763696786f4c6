# The agent's LD_* and DISPLAY stay with the agent; what a job sets itself is its own, empty values too.
job "environment" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "env; exec sleep infinity"]
      }

      env {
        LD_LIBRARY_PATH = "/of/the/job"
        EMPTY           = ""
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
