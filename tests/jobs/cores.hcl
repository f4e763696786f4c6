# A core of the task's own.
job "cores" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
      }

      resources {
        cores  = 1
        memory = 32
      }
    }
  }
}
