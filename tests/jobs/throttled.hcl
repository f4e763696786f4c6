# Little cpu makes a stop slow: the task's trap needs more of it than it has in some periods. Its event says so. Without a ceiling it is quick.
job "throttled" {
  group "ceiling" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "trap 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; exit 0' INT; echo ready; while :; do sleep 0.1; done"]
      }

      resources {
        cpu    = 100
        memory = 32
      }
    }
  }

  group "share" {
    task "main" {
      driver = "exec2"

      config {
        command        = "sh"
        args           = ["-c", "trap 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; exit 0' INT; echo ready; while :; do sleep 0.1; done"]
        cpu_hard_limit = false
      }

      resources {
        cpu    = 100
        memory = 32
      }
    }
  }
}
