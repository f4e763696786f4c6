# Uses CPU time and 8 MiB, to be seen in `nomad alloc status -stats` and in the metrics.
job "stats" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "x=$(head -c 8M /dev/zero | tr '\\0' x); while :; do :; done"]
      }

      resources {
        cpu    = 1000
        memory = 128
      }
    }
  }
}
