/// `import Varve`: all that a program needs to run a node in its own process, to submit and to ask.
///
/// Kafka's log is a module beside this one (`import VarveKafka`), so a program without Kafka does not link librdkafka.

@_exported public import VarveLog
@_exported public import VarveModel
@_exported public import VarveNode
@_exported public import VarveQuery
@_exported public import VarveTelemetry
