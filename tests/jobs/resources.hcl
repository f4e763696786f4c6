# cpu and memory are limits: cpu.max and cpu.weight, memory.max.
job "resources" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command       = "sleep"
        args          = ["infinity"]
        oom_score_adj = 200
      }

      resources {
        cpu    = 1024
        memory = 200
      }
    }
  }
}
