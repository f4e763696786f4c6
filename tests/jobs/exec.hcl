# A service to enter with `nomad alloc exec`.
job "exec" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
      }

      resources {
        cpu    = 500
        memory = 64
      }
    }
  }
}
