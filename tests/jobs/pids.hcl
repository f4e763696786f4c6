# No more than eight processes and threads: a fork bomb ends at itself. Init is one of them, the shell another.
job "pids" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command    = "bash"
        args       = ["-c", "for _ in {1..20}; do sleep infinity & done; wait"]
        pids_limit = 8
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
