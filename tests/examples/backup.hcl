# Every night at four: packs one directory of the host, which it may only read, into another, which it may write.
#
# Needs: unveil_by_task = true in the plugin's configuration, and both directories. File modes count as well, so the user of the
# task owns the one that it writes:
#   mkdir -p /srv/www && install -d -o backup -g backup /srv/backup
# To run it now: nomad job periodic force backup
job "backup" {
  type = "batch"

  periodic {
    crons            = ["0 4 * * *"]
    prohibit_overlap = true
  }

  group "backup" {
    task "backup" {
      driver = "exec2"
      user   = "backup"

      # -C names a directory that is unveiled: /srv, above it, can't be opened.
      config {
        command = "sh"
        args    = ["-ec", "cd /srv/backup; tar -czf www.tar.gz.new -C /srv/www .; mv www.tar.gz.new www.tar.gz; tar -tzf www.tar.gz"]
        unveil  = ["r:/srv/www", "rwc:/srv/backup"]
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
