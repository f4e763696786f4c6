//! Every gRPC method that this plugin serves, by its full name.

use grpcio::{Marshaller, Method, MethodType, pb_de, pb_ser};
use protobuf::Message;
use protobuf::well_known_types::empty::Empty as Nothing;

use super::wire::{base::*, driver::*, goplugin::*, health::*};

const fn method<Q: Message, R: Message>(ty: MethodType, name: &'static str) -> Method<Q, R> {
    Method { ty, name, req_mar: Marshaller { ser: pb_ser, de: pb_de }, resp_mar: Marshaller { ser: pb_ser, de: pb_de } }
}

macro_rules! methods {
    ($service:literal { $($name:ident = $kind:ident $method:literal ($request:ty) -> $response:ty;)* }) => {
        $(pub const $name: Method<$request, $response> =
            method(MethodType::$kind, concat!("/", $service, "/", $method));)*
    };
}

methods!("hashicorp.nomad.plugins.base.proto.BasePlugin" {
    PLUGIN_INFO = Unary "PluginInfo"(PluginInfoRequest) -> PluginInfoResponse;
    CONFIG_SCHEMA = Unary "ConfigSchema"(ConfigSchemaRequest) -> ConfigSchemaResponse;
    SET_CONFIG = Unary "SetConfig"(SetConfigRequest) -> SetConfigResponse;
});

methods!("hashicorp.nomad.plugins.drivers.proto.Driver" {
    INIT = Unary "Init"(InitRequest) -> InitResponse;
    SHUTDOWN = Unary "Shutdown"(ShutdownRequest) -> ShutdownResponse;
    TASK_CONFIG_SCHEMA = Unary "TaskConfigSchema"(TaskConfigSchemaRequest) -> TaskConfigSchemaResponse;
    CAPABILITIES = Unary "Capabilities"(CapabilitiesRequest) -> CapabilitiesResponse;
    FINGERPRINT = ServerStreaming "Fingerprint"(FingerprintRequest) -> FingerprintResponse;
    TASK_EVENTS = ServerStreaming "TaskEvents"(TaskEventsRequest) -> DriverTaskEvent;
    RECOVER_TASK = Unary "RecoverTask"(RecoverTaskRequest) -> RecoverTaskResponse;
    START_TASK = Unary "StartTask"(StartTaskRequest) -> StartTaskResponse;
    WAIT_TASK = Unary "WaitTask"(WaitTaskRequest) -> WaitTaskResponse;
    STOP_TASK = Unary "StopTask"(StopTaskRequest) -> StopTaskResponse;
    DESTROY_TASK = Unary "DestroyTask"(DestroyTaskRequest) -> DestroyTaskResponse;
    INSPECT_TASK = Unary "InspectTask"(InspectTaskRequest) -> InspectTaskResponse;
    SIGNAL_TASK = Unary "SignalTask"(SignalTaskRequest) -> SignalTaskResponse;
    TASK_STATS = ServerStreaming "TaskStats"(TaskStatsRequest) -> TaskStatsResponse;
    EXEC_TASK = Unary "ExecTask"(ExecTaskRequest) -> ExecTaskResponse;
    EXEC_TASK_STREAMING = Duplex "ExecTaskStreaming"(ExecTaskStreamingRequest) -> ExecTaskStreamingResponse;
    CREATE_NETWORK = Unary "CreateNetwork"(CreateNetworkRequest) -> CreateNetworkResponse;
    DESTROY_NETWORK = Unary "DestroyNetwork"(DestroyNetworkRequest) -> DestroyNetworkResponse;
});

methods!("plugin.GRPCController" {
    CONTROLLER_SHUTDOWN = Unary "Shutdown"(Empty) -> Empty;
});

methods!("plugin.GRPCBroker" {
    BROKER_START_STREAM = Duplex "StartStream"(ConnInfo) -> ConnInfo;
});

methods!("plugin.GRPCStdio" {
    STDIO_STREAM = ServerStreaming "StreamStdio"(Nothing) -> StdioData;
});

methods!("grpc.health.v1.Health" {
    HEALTH_CHECK = Unary "Check"(HealthCheckRequest) -> HealthCheckResponse;
});
