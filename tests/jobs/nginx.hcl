# nginx as an ordinary user on port 80, by a capability; without it, the port is refused.
variable "view" {
  default = "host"
}

locals {
  # All that it writes is in the task's directory; its logs are the task's.
  conf = <<-NGINX
    daemon           off;
    worker_processes 1;
    pid              {{ env "NOMAD_TASK_DIR" }}/nginx.pid;
    error_log        stderr;

    events {}

    http {
      include               /etc/nginx/mime.types;
      access_log            /proc/self/fd/1;
      client_body_temp_path {{ env "NOMAD_TASK_DIR" }}/body;
      proxy_temp_path       {{ env "NOMAD_TASK_DIR" }}/proxy;
      fastcgi_temp_path     {{ env "NOMAD_TASK_DIR" }}/fastcgi;
      uwsgi_temp_path       {{ env "NOMAD_TASK_DIR" }}/uwsgi;
      scgi_temp_path        {{ env "NOMAD_TASK_DIR" }}/scgi;

      server {
        listen 127.0.0.1:{{ env "NOMAD_PORT_http" }};
        root   {{ env "NOMAD_TASK_DIR" }}/www;
      }
    }
  NGINX

  unveil = ["rx:/usr/sbin/nginx", "r:/etc/nginx/mime.types"]
}

job "nginx" {
  group "capable" {
    network {
      port "http" {
        static       = 80
        host_network = "local"
      }
    }

    task "main" {
      driver      = "exec2"
      user        = "www-data"
      kill_signal = "SIGQUIT"

      config {
        command = "/usr/sbin/nginx"
        args    = ["-e", "stderr", "-c", "${NOMAD_TASK_DIR}/nginx.conf"]
        unveil  = local.unveil
        cap_add = ["net_bind_service"]
        view    = var.view
      }

      template {
        destination = "local/nginx.conf"
        data        = local.conf
      }

      template {
        destination = "local/www/index.html"
        data        = "served by nginx"
      }

      resources {
        cpu    = 500
        memory = 64
      }
    }
  }

  group "bare" {
    network {
      port "http" {
        static       = 81
        host_network = "local"
      }
    }

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
      user   = "www-data"

      config {
        command = "/usr/sbin/nginx"
        args    = ["-e", "stderr", "-c", "${NOMAD_TASK_DIR}/nginx.conf"]
        unveil  = local.unveil
        view    = var.view
      }

      template {
        destination = "local/nginx.conf"
        data        = local.conf
      }

      resources {
        cpu    = 500
        memory = 64
      }
    }
  }
}
