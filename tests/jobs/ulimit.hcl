# Resource limits: soft and hard, or both at once.
job "ulimit" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]

        ulimit {
          nofile = "64:128"
          core   = "0"
          cpu    = "unlimited"
        }
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
