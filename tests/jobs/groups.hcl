# Another primary group, and one more beside it: here to read a log of the host that is root's and the group adm's.
job "groups" {
  group "group" {
    task "main" {
      driver = "exec2"
      user   = "games"

      config {
        command   = "sh"
        args      = ["-c", "cat /var/log/adm-only; touch mine; exec sleep infinity"]
        unveil    = ["r:/var/log/adm-only"]
        group     = "staff"
        group_add = ["adm", "5"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "without" {
      driver = "exec2"
      user   = "games"

      config {
        command = "sh"
        args    = ["-c", "cat /var/log/adm-only; exec sleep infinity"]
        unveil  = ["r:/var/log/adm-only"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
