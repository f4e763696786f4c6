# memory is what the task is promised, memory_max what it may use.
job "oversubscription" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
      }

      resources {
        cpu        = 500
        memory     = 150
        memory_max = 250
      }
    }
  }
}
