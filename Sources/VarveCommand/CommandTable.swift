// The program as a table: every command with what it takes, its help and its examples. Parsing, `--help`, completion
// and docs/cli.md come from here.

import VarveNode
import VarveTerminal

enum CommandTable {
    static let program = Program(
        "varve", "An immutable, time-travelling database that is a log and a directory of files",
        discussion: """
            Start with `varve cluster`, which runs three nodes on this machine, or with `varve node`. Then load documents \
            with `varve load` and ask for them with `varve sql`.

            Commands that speak to nodes take --url and --token, or VARVE_URL and VARVE_TOKEN. An error is one line: a \
            code, what happened, and the next command. Exit codes: 0 ok, 1 failed (an aborted transaction too), 64 usage, \
            66 an input is missing, 69 a node cannot be reached or does not serve, 78 configuration, 130 interrupted.
            """,
        version: "varve \(Node.version)", commands: running + data + operating)

    // MARK: Running nodes

    private static let running = [
        Command(
            "node", "Run one node",
            discussion: """
                Opens the log and the storage that the configuration names, applies what is in the log, and serves HTTP. \
                An unreachable log is waited for. SIGTERM or SIGINT ends it in order: requests in flight are answered, \
                the exit code is 0; a second signal ends it at once. Killed at any moment it loses nothing that was \
                acknowledged.
                """,
            section: "Running nodes",
            parameters: [Parameters.config, Parameters.bootstrapFromLog, Parameters.stopWithInput],
            examples: [
                Example("varve node --config node.yaml", "one node"),
                Example("varve config check node.yaml", "look at the configuration first"),
            ]),
        Command(
            "cluster", "Run several nodes on this machine, for development",
            discussion: """
                Each node is a process of its own with its own configuration file in the directory; they share one log \
                and one storage directory. Prints the nodes' addresses when all of them serve. SIGTERM or SIGINT ends \
                all of them; a node that dies is reported and stays away.

                Without --kafka the cluster brings an embedded broker, which forgets everything when it ends. An orderly \
                end writes a block first, and the next start on the same directory begins a new epoch behind it; after a \
                crash, what was in no block is lost. For a log that outlives the nodes start `varve broker` \
                first and name it with --kafka.
                """,
            section: "Running nodes",
            parameters: [
                Parameters.nodes, Parameters.kafka, Parameters.embedded, Parameters.directory, Parameters.basePort,
                Parameters.topic, Parameters.json,
            ],
            examples: [
                Example("varve cluster", "three nodes on ports 8080 to 8082"),
                Example("varve cluster --nodes 5 --kafka localhost:9092 --dir /tmp/five", "five nodes on a Kafka"),
            ]),
        Command(
            "broker", "Run the embedded broker, for development",
            discussion: """
                Speaks the Kafka protocol on a free port of this machine and holds everything in memory: about 5 MiB of a \
                topic, nothing after its end. Makes sixteen topics, BASE-e0 to BASE-e15 unless another first epoch is named. The first line of its output is its \
                address.
                """,
            section: "Running nodes", parameters: [Parameters.topic, Parameters.firstEpoch, Parameters.stopWithInput],
            examples: [
                Example("varve broker", "prints 127.0.0.1:PORT"),
                Example("varve cluster --kafka 127.0.0.1:9092", "nodes that use it"),
            ]),
    ]

    // MARK: Data

    private static let data = [
        Command(
            "load", "Load documents into a table",
            discussion: """
                Puts each line of an NDJSON file, gzip or not, as a document. The file goes over in pieces of some \
                megabytes, two at once, and what is reported is durable and applied. A file's content and the table name \
                the load: after a break the same command goes on where it stopped, and a file loaded again applies \
                nothing twice. Standard input is read once, so each run of it is a new load.
                """,
            section: "Data",
            parameters: [
                Parameters.file, Parameters.table, Parameters.idField, Parameters.batch, Parameters.pieceBytes,
                Parameters.again, Parameters.json, Parameters.urls, Parameters.token,
            ],
            examples: [
                Example("varve load packages.ndjson.gz --table packages", "documents that bring their _id"),
                Example("varve load people.ndjson --table people --id email", "the field email becomes _id"),
            ]),
        Command(
            "tx", "Submit a transaction",
            discussion: """
                Reads a transaction as JSON, sends it to a node and prints what became of it. It is all or nothing, and \
                its answer is an outcome: committed (exit code 0) or aborted with the reason (exit code 1). Where the \
                outcome stays unknown, send it again with the --id that the error names.
                """,
            section: "Data",
            parameters: [
                Parameters.transactionFile, Parameters.submissionID, Parameters.json, Parameters.urls, Parameters.token,
            ],
            examples: [
                Example(
                    #"echo '{"ops":[{"put":{"table":"users","docs":[{"_id":"ada"}]}}]}' | varve tx -"#, "one document"),
                Example(
                    #"echo '{"ops":[{"delete":{"table":"users","ids":["ada"]}}]}' | varve tx -"#, "delete it again"),
            ]),
        Command(
            "get", "Print a document",
            discussion: """
                Prints the document as one line of JSON; exit code 1 when there is none. With --history all its \
                versions, with --as-of the one that held then.
                """,
            section: "Data",
            parameters: [
                Parameters.tableName, Parameters.documentID, Parameters.integerID, Parameters.asOf, Parameters.after,
                Parameters.history,
                Parameters.versions, Parameters.json, Parameters.urls, Parameters.token,
            ],
            examples: [
                Example("varve get users ada", "as it is now"),
                Example("varve get users ada --as-of 2026-01-01T00:00:00Z", "as it was"),
                Example("varve get users 7 --int --history", "all versions; the _id is a number"),
            ]),
        Command(
            "sql", "Ask a question in SQL",
            discussion: """
                Sends a SELECT, in the SQL of SQLite, to a node. Each table has its fields as columns, _id, and the \
                hidden columns _doc, _version, _system_from and _system_to. SQL only reads: write with tx and load.
                """,
            section: "Data",
            parameters: [
                Parameters.statement, Parameters.asOf, Parameters.after, Parameters.format, Parameters.json,
                Parameters.urls,
                Parameters.token,
            ],
            examples: [
                Example(#"varve sql "SELECT count(*) FROM packages""#, "a number"),
                Example(#"varve sql "SELECT * FROM users" --as-of 0-120 --format ndjson"#, "the past, a line each"),
                Example("varve sql < questions.sql", "statements from a file"),
            ]),
    ]
}
