// What the commands take. One constant for each, shared by the table, which declares it, and the command, which asks
// for it; so what stands in `--help` is what is read.

import VarveClient
import VarveModel
import VarveNode
import VarveTerminal
import VarveWire

enum Format: String, CaseIterable, Sendable { case table, json, ndjson, csv }

enum Parameters {
    // MARK: Where

    static let urls = Option.repeated(
        "url", .nodeURL, "U", default: [ClientOptions.defaultURL], environment: "VARVE_URL",
        "Node to ask; given several times, the next one is asked when one does not answer.")
    static let statusURLs = Option.repeated(
        "url", .nodeURL, "U", default: [ClientOptions.defaultURL], environment: "VARVE_URL",
        "Node to ask; several times for several nodes.")
    static let token = Option.optional(
        "token", .text, "T", environment: "VARVE_TOKEN", secret: true, "The token of the nodes, if they ask for one.")
    static let config = Option.required(
        "config", .file, "F", environment: "VARVE_CONFIG", "Configuration of the node: a YAML file.")
    static let coldConfig = Option.optional(
        "config", .file, "F", "Read log and storage that this configuration names, with no node running.")
    static let json = Option.flag("json", "Print JSON, for programs.")

    // MARK: node, cluster, broker

    static let bootstrapFromLog = Option.flag(
        "bootstrap-from-log",
        "Accept that the storage is empty although the log is not: build it again from the log.")
    static let stopWithInput = Option.flag(
        "stop-with-input", "End when standard input ends, for a parent process that holds the other end of the pipe.")
    static let nodes = Option.value("nodes", .integer(1...16), "N", default: 3, "How many nodes.")
    static let kafka = Option.optional(
        "kafka", .servers, "HOST:PORT", "Broker that holds the log: one of Kafka, or `varve broker`.")
    static let embedded = Option.flag(
        "embedded", "Bring an embedded broker, whose log ends with the cluster. This is what happens without --kafka.")
    static let directory = Option.optional(
        "dir", .directory, "D", "Where configurations, storage and log output go; without it a new temporary directory."
    )
    static let basePort = Option.value(
        "base-port", .integer(1...65_000), "P", default: 8080, "Port of the first node; the others follow it.")
    static let topic = Option.value(
        "topic", .topic, "BASE", default: "varve-log", "Name of the log: epoch N is the topic BASE-eN.")

    static let firstEpoch = Option.value(
        "first-epoch", .integer(0...32_752), "N", default: 0,
        "The first of the sixteen epochs that it makes topics for.")

    // MARK: Data

    static let file = Argument.required(
        "file", .file, "NDJSON, one document a line, or that in gzip; - is standard input.")
    static let table = Option.required("table", .text, "T", short: "t", "Table to load into; it need not exist.")
    static let idField = Option.optional("id", .text, "FIELD", "Field whose value becomes _id.")
    static let batch = Option.value(
        "batch", .integer(1...RowLoadOptions.batchRowsMax), "N", default: RowLoadOptions.batchRowsDefault,
        "Documents of one transaction.")
    static let pieceBytes = Option.value(
        "piece-bytes", .integer(1...(256 << 20)), "N", default: LoadOptions.pieceBytesDefault,
        "Bytes of one request, at least; smaller ones show progress sooner.")
    static let again = Option.flag("again", "Load it once more, although it was loaded before.")
    static let transactionFile = Argument.required(
        "file", .file, "The transaction as JSON, as POST /v1/transactions takes it; - is standard input.")
    static let submissionID = Option.optional(
        "id", .submissionID, "ID", "Name of this submission, 32 hexadecimal digits: sent again, it is applied once.")
    static let tableName = Argument.required("table", .text, "Table.")
    static let documentID = Argument.required("id", .text, "The document's _id.")
    static let integerID = Option.flag("int", "The _id is an integer, not a text.")
    static let asOf = Option.optional(
        "as-of", .asOf, "X", "Ask the past: a position like 0-123, or an instant like 2026-11-21T10:00:00Z.")
    static let after = Option.optional(
        "after", .token, "T", "Wait until the node has applied what this token, or position, stands for.")
    static let history = Option.flag("history", "All versions, newest first.")
    static let versions = Option.value("limit", .integer(1...10_000), "N", default: 100, "At most so many versions.")
    static let statement = Argument.optional(
        "statement", .text, "A SELECT. Without it statements are read from standard input, each ended by a semicolon.")
    static let format = Option.value(
        "format", .choice, "F", default: Format.table, short: "f", "How rows are printed; this version has no csv.")

    // MARK: Operating

    static let ready = Option.flag("ready", "Only say whether the node serves, by the exit code: a health check.")
    static let watch = Option.flag("watch", short: "w", "Show it again every second until interrupted.")
    static let from = Option.optional("from", .position, "P", "First position to show; without it the newest records.")
    static let to = Option.optional("to", .position, "P", "Last position to show.")
    static let recordTypes = Option.repeated(
        "type", .choice as ValueType<RecordKind>, "T",
        "Only records of this type; may be given several times. Needs --config.")
    static let recordTables = Option.repeated(
        "table", .text, "T", "Only transactions that name this table; may be given several times. Needs --config.")
    static let recordID = Option.optional("id", .submissionID, "ID", "Only what has this id, 32 hexadecimal digits.")
    static let epoch = Option.optional(
        "epoch", .integer(0...Epoch.highest), "N", "The epoch; without it the configured one, else storage's newest.")
    static let count = Option.optional("count", .integer(1...Int.max), "N", "End after so many.")
    static let limit = Option.value("limit", .integer(1...10_000), "N", default: 20, "At most so many.")
    static let block = Argument.required("number", .integer(), "Number of the block.")
    static let rowsPerBlock = Option.optional(
        "rows-per-block", .count, "N", "Document versions that close a block.")
    static let transactionsPerBlock = Option.optional(
        "transactions-per-block", .count, "N", "Transactions that close a block.")
    static let bytesPerBlock = Option.optional(
        "bytes-per-block", .size, "SIZE", "Bytes of uncompressed payload that close a block.")
    static let flushDuration = Option.optional(
        "flush-duration", .duration, "D", "Age at which a block is closed: what a lost log can cost.")
    static let idsRemembered = Option.optional(
        "ids-remembered", .count, "N", "Submission ids that every node keeps in memory.")
    static let idsRememberedFor = Option.optional(
        "ids-remembered-for", .duration, "D", "How long it keeps them, in time of the log.")
    static let fromConfig = Option.optional(
        "from-config", .file, "F", "Take the thresholds of this configuration's section indexer.")
    static let splice = Option.flag(
        "splice", "Read the rest of the old log in place: the epoch ends where that log ends.")
    static let salvage = Option.flag("salvage", "Append the rest of the old log to the new one, with the same ids.")
    static let drop = Option.flag("drop", "Give up what is in no block.")
    static let acceptLoss = Option.optional(
        "accept-loss", .text, "DIGEST", "Digest of the plan that says what is lost: you have read it.")
    static let poisonPosition = Option.required(
        "position", .position, "P", "The record, as a node that stands before it says (POISON).")
    static let confirm = Option.optional(
        "confirm", .text, "DIGEST",
        "First 16 digits of the record's SHA-256, as this command shows them: quarantine it.")
    static let acceptAppliedLoss = Option.flag(
        "accept-loss", "Also when a node that is gone had applied the record, and may have acknowledged it.")
    static let toTopic = Option.optional("to-topic", .topic, "BASE", "The new log's name, without the epoch.")
    static let toCluster = Option.optional(
        "to-cluster", .text, "NAME",
        "Cluster of the new log: a name in the nodes' section log.clusters, or log.directories.")
    static let dryRun = Option.flag("dry-run", "Only say whether it could be done.")
    static let showOnly = Option.flag("dry-run", "Only list it; nothing is changed.")
    static let grace = Option.value(
        "grace", .grace, "D", default: .seconds(3600),
        "How long what was found stays written down before it is removed.")
    static let endedEpoch = Option.optional(
        "epoch", .integer(0...32_767), "N", "The ended epoch; without it the newest.")
    static let apply = Option.flag("apply", "Apply what the database does not know.")
    static let drillNames = Argument.repeated("name", .text, "Drills, in the order given; all for every one.")
    static let realKafka = Option.flag(
        "real-kafka", "Hold it on a real Kafka: the distribution that KAFKA_HOME names, started and ended by the drill."
    )
    static let keep = Option.flag("keep", "Leave directory and processes behind, and say how to end them.")
    static let runbooks = Option.optional(
        "runbooks", .directory, "DIR", "The directory of the pages, where docs/runbooks is not found.")
    static let configFile = Argument.required("file", .file, "Configuration of a node: a YAML file.")
}

extension ValueType where Value == String {
    static var nodeURL: Self {
        ValueType(expected: "a URL like \(ClientOptions.defaultURL)") { ClientOptions.isURL($0) ? $0 : nil }
    }
}

extension ValueType where Value == String {
    static var topic: Self {
        ValueType(expected: KafkaLogConfiguration.topicExpected) { KafkaLogConfiguration.isTopic($0) ? $0 : nil }
    }

    static var servers: Self {
        ValueType(expected: KafkaLogConfiguration.serversExpected) { KafkaLogConfiguration.isServerList($0) ? $0 : nil }
    }
}

extension ValueType where Value == AsOf {
    static var asOf: Self {
        ValueType(expected: "a position like 0-123 or an instant like 2026-11-21T10:00:00Z") { AsOf($0) }
    }
}

extension ValueType where Value == Token {
    static var token: Self { ValueType(expected: "a token like 0-123-9f2c41d07a6be853 or a position") { Token($0) } }
}

extension ValueType where Value == Position {
    static var position: Self { ValueType(expected: "a position like 0-123") { Position($0) } }
}

extension ValueType where Value == SubmissionID {
    static var submissionID: Self { ValueType(expected: "32 hexadecimal digits") { SubmissionID(hex: $0) } }
}

extension ValueType where Value == UInt64 {
    static var count: Self {
        ValueType(expected: "an integer from 1 to \(SettingsRequest.countMax)") { text in
            UInt64(text).flatMap { (1...SettingsRequest.countMax).contains($0) ? $0 : nil }
        }
    }

    static var size: Self {
        ValueType(expected: "a size of at least 1KiB, like 32MiB") { text in
            SizeText.parse(text).flatMap { $0 >= Int(SettingsRequest.bytesMin) ? UInt64($0) : nil }
        }
    }
}

extension ValueType where Value == Duration {
    static var grace: Self {
        ValueType(expected: "a duration, like PT1H or PT0S") { text in
            VarveModel.duration(fromISO: text).flatMap { $0 >= .zero ? $0 : nil }
        }
    }

    static var duration: Self {
        ValueType(expected: "a duration of at least a millisecond, like PT4H or PT0.5S") { text in
            VarveModel.duration(fromISO: text).flatMap { $0 >= .milliseconds(1) ? $0 : nil }
        }
    }
}
