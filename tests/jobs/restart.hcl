# `nomad alloc restart` ends the task with its stop signal, and starts it again in the same directories and cgroup.
job "restart" {
  group "group" {
    task "main" {
      driver       = "exec2"
      kill_timeout = "20s"

      config {
        command = "sh"
        args    = ["-c", "trap 'echo stopped; exit 0' INT; echo started; while :; do sleep 1; done"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
