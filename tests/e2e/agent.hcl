# A server and a client in one, like `nomad agent -dev`, but with its state on disk: it is stopped, killed and started again.

data_dir             = "/var/lib/nomad/data"
plugin_dir           = "/opt/nomad/plugins"
bind_addr            = "127.0.0.1"
disable_update_check = true
log_level            = "DEBUG"
leave_on_interrupt   = false
leave_on_terminate   = false

advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}

server {
  enabled          = true
  bootstrap_expect = 1

  # An emulated machine is slow to say that it is alive.
  heartbeat_grace = "120s"

  default_scheduler_config {
    memory_oversubscription_enabled = true
  }
}

client {
  enabled           = true
  network_interface = "eth0"
  cni_path          = "/opt/cni"

  # So that what a number of MHz comes to is known: two cores of 2000.
  cpu_total_compute = 4000

  host_volume "data" {
    path = "/srv/data"
  }

  host_network "local" {
    cidr = "127.0.0.0/8"
  }

  # The others, and the clouds, would only be looked for in vain.
  options = {
    "driver.allowlist"     = "exec2"
    "fingerprint.denylist" = "env_aws,env_azure,env_digitalocean,env_gce"
  }
}

telemetry {
  publish_allocation_metrics = true
  prometheus_metrics         = true
  collection_interval        = "1s"
}

plugin "nomad-driver-exec2" {
  config {
    unveil_by_task = true
    # So that a job may say protect_system = "off".
    forbid_by_task = ["seccomp"]
  }
}
