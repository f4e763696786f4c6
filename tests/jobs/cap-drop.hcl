# A capability that is in both lists is dropped, and need not be allowed.
job "cap-drop" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command  = "sleep"
        args     = ["infinity"]
        cap_add  = ["chown", "kill", "net_raw"]
        cap_drop = ["kill", "net_raw"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
