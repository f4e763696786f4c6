# Root's own file that is unveiled for reading. Landlock leaves its mode to its owner; that the mount is read-only does not.
job "protect-system" {
  type = "batch"

  group "group" {
    task "strict" {
      driver = "exec2"
      user   = "root"

      config {
        command = "sh"
        args    = ["-c", "chmod 600 /srv/strict; (echo more >>/srv/strict); true"]
        unveil  = ["r:/srv/strict"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "off" {
      driver = "exec2"
      user   = "root"

      config {
        command        = "sh"
        args           = ["-c", "chmod 600 /srv/off; (echo more >>/srv/off); true"]
        unveil         = ["r:/srv/off"]
        protect_system = "off"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
