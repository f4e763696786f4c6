# A program that the job brings along, as jobs of the exec driver name it: a path in local, or a name that is in no directory of PATH.
job "local-command" {
  group "path" {
    task "main" {
      driver = "exec2"

      config {
        command = "bin/program"
      }

      template {
        destination = "local/bin/program"
        perms       = "755"
        data        = "#!/bin/sh\necho found; exec sleep infinity\n"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }

  group "name" {
    task "main" {
      driver = "exec2"

      config {
        command = "program-of-the-job"
      }

      template {
        destination = "local/program-of-the-job"
        perms       = "755"
        data        = "#!/bin/sh\necho found; exec sleep infinity\n"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
