# Every limit that a task can have.
job "limits" {
  group "limits" {
    task "limits" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]

        # No swap: beyond its memory the OOM killer ends all of the task, not one process of it.
        memory_swap = "0"
        oom_group   = true

        # Processes and threads. The task's init is one of them.
        pids_limit = 20

        # `cpu` is a share of the processors, not a ceiling.
        cpu_hard_limit = false

        # Limits of each process: soft and hard, or both at once.
        ulimit {
          nofile = "256:1024"
          fsize  = "100000000"
        }
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
