# Out of memory: the kernel kills one process and the shell goes on, or with oom_group the whole task.
locals {
  hog = "awk 'BEGIN { for (hog = \"x\";; hog = hog hog); }' & wait $!; echo hog ended with $?"
}

job "oom-group" {
  type = "batch"

  group "one" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", local.hog]
      }

      resources {
        cpu    = 1000
        memory = 24
      }
    }
  }

  group "whole" {
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
        command   = "sh"
        args      = ["-c", local.hog]
        oom_group = true
      }

      resources {
        cpu    = 1000
        memory = 24
      }
    }
  }
}
