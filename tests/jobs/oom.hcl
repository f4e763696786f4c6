# More memory than it may use: the kernel kills it, and Nomad says so.
job "oom" {
  type = "batch"

  group "group" {
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
        command = "awk"
        args    = ["BEGIN { for (hog = \"x\";; hog = hog hog); }"]
      }

      resources {
        cpu    = 2000
        memory = 24
      }
    }
  }
}
