# What the cgroup limits besides memory and cpu: swap, and whether cpu is a ceiling or only a weight.
job "limits" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command        = "sleep"
        args           = ["infinity"]
        memory_swap    = "64MiB"
        cpu_hard_limit = false
        oom_group      = true
      }

      resources {
        cpu    = 1024
        memory = 32
      }
    }
  }
}
