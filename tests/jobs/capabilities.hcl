# Capabilities: none but those of cap_add, which an ordinary user has as well, and no more than the operator's allow_caps.
job "capabilities" {
  group "some" {
    task "main" {
      driver = "exec2"

      # cap_drop = ["all"], as jobs of the exec driver have it, takes nothing away: a task has no capability to begin with.
      config {
        command  = "sh"
        args     = ["-c", "touch mine && chown games mine; exec sleep infinity"]
        unveil   = ["r:/etc/passwd"]
        cap_drop = ["all"]
        cap_add  = ["chown"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }

  group "none" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "touch mine && chown games mine; exec sleep infinity"]
        unveil  = ["r:/etc/passwd"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }

  group "too-many" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "main" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
        cap_add = ["chown", "sys_admin"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
