# Lives on when the agent or the plugin is stopped, killed and started again.
job "survivor" {
  group "group" {
    task "main" {
      driver       = "exec2"
      kill_timeout = "20s"

      config {
        command = "sh"
        args    = ["-c", "trap 'echo got USR1' USR1; n=0; while :; do n=$((n + 1)); echo $n; sleep 1; done"]
        unveil  = ["r:/etc/os-release"]
      }

      resources {
        cpu    = 500
        memory = 64
      }
    }
  }
}
