# A batch job. What it prints is read with `nomad alloc logs`.
job "logs" {
  type = "batch"

  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "echo to stderr >&2; seq 1 20000"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
