# A task that heeds its kill_signal, and one that has to be killed when its kill_timeout is over.
job "stop" {
  group "group" {
    task "polite" {
      driver       = "exec2"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        command = "sh"
        args    = ["-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 1; done"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "stubborn" {
      driver       = "exec2"
      kill_timeout = "5s"

      config {
        command = "sh"
        args    = ["-c", "trap '' INT; echo ready; while :; do sleep 1; done"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
