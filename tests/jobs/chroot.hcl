# A job of the exec driver: /local, /alloc and /secrets, a /tmp and terminals of its own, and a root with nothing in it that it was not given.
job "chroot" {
  type = "batch"

  group "group" {
    task "main" {
      driver = "exec2"

      config {
        view    = "private"
        command = "/bin/bash"
        args    = ["/local/look"]
        unveil  = ["r:/etc/os-release", "?r:/srv/nothing"]
      }

      template {
        destination = "local/look"
        data        = <<-SCRIPT
          for path in /local /alloc/data /tmp /dev/shm; do
            touch $path/mine && echo "$path: writable"
          done
          [ -d /secrets ] && echo "/secrets: there"
          for path in /root /etc/passwd /var/lib/nomad/data/client; do
            stat $path 2>&1 | grep -o "No such file or directory" | sed "s|^|$path: |"
          done
          script -qec tty /dev/null | tr -d '\r' | sed "s|^|terminal: |"
          read -r line </etc/os-release && echo "os-release: read"
          set -- /proc/[0-9]* && echo "processes: $#"
          touch /new 2>&1 | grep -o "Read-only file system"
        SCRIPT
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
