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

    // MARK: Operating

    private static let operating = [
        Command(
            "status", "Show where nodes stand",
            discussion: """
                Position, lag, blocks, what only the log holds (RPO), warnings and chains of each node, as much as fits. Two nodes at the same \
                position show the same chains. The exit code is 0 when every node is ready. With --watch the table is \
                drawn again in its place every second; into a file or pipe, one table after another.
                """,
            section: "Operating",
            parameters: [
                Parameters.statusURLs, Parameters.watch, Parameters.ready, Parameters.json, Parameters.token,
            ],
            examples: [
                Example("varve status", "one node"),
                Example("varve status --url http://127.0.0.1:8080 --url http://127.0.0.1:8081", "two"),
                Example("varve status --watch", "as it changes"),
                Example("varve status --ready", "health check of a container"),
            ]),
        Command(
            "log", "Look at the log", section: "Operating",
            commands: [
                Command(
                    "show", "Show transactions or records of the log",
                    discussion: """
                        Asks a node for decided transactions, or with --config reads the records of the log itself: with \
                        no node running, or beside one. A local log that a node holds is read up to what the node has \
                        stated to be durable, which is up to 100 ms old; one that nobody holds is opened as a node would \
                        open it, so an unfinished end is cut off and kept aside. Foreign and damaged records are shown \
                        as such. --type and --table need --config. Without --from the newest are shown.
                        """,
                    parameters: [
                        Parameters.from, Parameters.to, Parameters.recordTypes, Parameters.recordTables,
                        Parameters.recordID, Parameters.limit, Parameters.coldConfig, Parameters.json, Parameters.urls,
                        Parameters.token,
                    ],
                    examples: [
                        Example("varve log show", "the newest transactions"),
                        Example("varve log show --config node.yaml --from 0-0 --limit 5", "the first records"),
                        Example("varve log show --config node.yaml --type foreign", "what others wrote into it"),
                    ]),
                Command(
                    "follow", "Show what comes into the log, until interrupted",
                    discussion: """
                        A line for each transaction that the node decides, asked for twice a second, or with --config for \
                        each record of the log itself, without touching it. Without --from it begins at the end.
                        """,
                    parameters: [
                        Parameters.from, Parameters.to, Parameters.recordTypes, Parameters.recordTables,
                        Parameters.recordID, Parameters.count, Parameters.coldConfig, Parameters.json, Parameters.urls,
                        Parameters.token,
                    ],
                    examples: [
                        Example("varve log follow", "transactions as they are decided"),
                        Example("varve log follow --config node.yaml --table users --json", "records that write users"),
                    ]),
                Command(
                    "verify", "Check the log against storage",
                    discussion: """
                        Reads every record that the log holds, without touching it and with or without nodes running, and \
                        says of each statement whether it is proved, refuted (with the evidence) or not checkable (with \
                        the reason): every checksum fits; the log is the one that storage belongs to (genesis and every \
                        record that blocks name); the chain of records ends at each block as the block says; replayed, \
                        the records have the effects and counts that each block says. Not checkable is never taken for \
                        proved. Exit code 0 when all is proved, 1 when something is refuted, 69 when something is not \
                        checkable.
                        """,
                    parameters: [Parameters.config, Parameters.epoch, Parameters.json],
                    examples: [Example("varve log verify --config node.yaml", "read all of it and compare")]),
            ]),
        Command(
            "blocks", "Look at blocks in storage", section: "Operating",
            commands: [
                Command(
                    "list", "List blocks, newest first",
                    discussion: """
                        Asks a node for the blocks it uses, or with --config reads the storage itself.
                        """,
                    parameters: [
                        Parameters.limit, Parameters.coldConfig, Parameters.json, Parameters.urls, Parameters.token,
                    ],
                    examples: [Example("varve blocks list", "the newest blocks")]),
                Command(
                    "show", "Show one block and its files",
                    discussion: """
                        The files are Arrow IPC: pyarrow, pandas and polars open them.
                        """,
                    parameters: [
                        Parameters.block, Parameters.coldConfig, Parameters.json, Parameters.urls, Parameters.token,
                    ],
                    examples: [Example("varve blocks show 0", "the first block")]),
                Command(
                    "verify", "Check all of a storage",
                    discussion: """
                        Reads every epoch record, manifest and block file of the storage that the configuration names; \
                        nodes may run meanwhile. Checks the chains, each file's size and SHA-256, that each of its \
                        documents can be put together, and that what nodes said they had adopted stands as they saw it. \
                        Exit code 1 when something is damaged: then it says which file \
                        and batches, and what can still be read. Sidecars that are missing or wrong are built again.
                        """,
                    parameters: [Parameters.config, Parameters.json],
                    examples: [Example("varve blocks verify --config node.yaml", "a report, or each damage in a line")]),
                Command(
                    "gc", "Remove files that no block names",
                    discussion: """
                        What publications left that lost or never ended, claims on published blocks, and signs of nodes \
                        that were not seen for 30 days. The first run writes down which files it means to remove, a run \
                        after the grace looks again and removes what still is garbage; nodes may run meanwhile. A file \
                        that any manifest names is never removed. Run it every day.
                        """,
                    parameters: [Parameters.grace, Parameters.showOnly, Parameters.config, Parameters.json],
                    examples: [
                        Example("varve blocks gc --dry-run --config node.yaml", "what is garbage"),
                        Example("varve blocks gc --config node.yaml", "daily: what was found an hour ago goes"),
                    ]),
                Command(
                    "flush", "Cut the open block now",
                    discussion: """
                        Answers when the node has published the block, or found it published, and uses its files.
                        """,
                    parameters: [Parameters.json, Parameters.urls, Parameters.token],
                    examples: [Example("varve blocks flush", "what was loaded so far becomes files")]),
            ]),
        Command(
            "settings", "What every node of the database follows", section: "Operating",
            commands: [
                Command(
                    "show", "Show the settings in force, beside what the node's configuration says",
                    discussion: """
                        Where a block ends follows from these, so they stand in the log and are the same on every node. \
                        A configuration only says what a new database begins with.
                        """,
                    parameters: [Parameters.json, Parameters.urls, Parameters.token],
                    examples: [Example("varve settings show", "rows, transactions and bytes of a block, its age")]),
                Command(
                    "apply", "Change settings, on every node at once",
                    discussion: """
                        Appends a record that every node applies at the same place of the log; it closes the open block. \
                        What is not named stays. Answers when the node that was asked has read it back; given again it \
                        changes nothing.
                        """,
                    parameters: [
                        Parameters.rowsPerBlock, Parameters.transactionsPerBlock, Parameters.bytesPerBlock,
                        Parameters.flushDuration, Parameters.idsRemembered, Parameters.idsRememberedFor,
                        Parameters.fromConfig, Parameters.json, Parameters.urls, Parameters.token,
                    ],
                    examples: [
                        Example("varve settings apply --flush-duration PT1H", "blocks at least every hour"),
                        Example(
                            "varve settings apply --from-config node.yaml", "the thresholds of its section indexer"),
                    ]),
            ]),
        Command(
            "epoch", "See, and begin, generations of the log",
            discussion: """
                An epoch is one generation of the log: on Kafka the topic BASE-eN. All but migrate read log and \
                storage themselves, with no node running; the configuration still names the old log. docs/operations/epochs.md \
                explains epochs, docs/runbooks/ says when to use which command.
                """, section: "Operating",
            commands: [
                Command(
                    "status", "List epochs, where each ended, and whether its log may be deleted",
                    parameters: [Parameters.config, Parameters.json],
                    examples: [Example("varve epoch status --config node.yaml", "all epochs")]),
                Command(
                    "plan", "Say what a new epoch would keep and lose",
                    discussion: """
                        Reads the newest block, what is left of the old log, and what the nodes last said. Nothing is \
                        changed. The digest stands for exactly what was found.
                        """,
                    parameters: [Parameters.config, Parameters.json],
                    examples: [Example("varve epoch plan --config node.yaml", "after the log was lost")]),
                Command(
                    "bump", "Begin a new epoch without a seal",
                    discussion: """
                        For a log that is lost, or ends too early; all nodes are stopped. Looks again first and refuses \
                        when a node lives, the old log grows, or the plan no longer fits. Broken off, it is run again.
                        """,
                    parameters: [
                        Parameters.splice, Parameters.salvage, Parameters.drop, Parameters.acceptLoss,
                        Parameters.config, Parameters.json,
                    ],
                    examples: [
                        Example("varve epoch bump --salvage --config node.yaml", "keep what the old log still holds"),
                        Example(
                            "varve epoch bump --drop --accept-loss DIGEST --config node.yaml", "the log is gone"),
                    ]),
                Command(
                    "migrate", "Move to another log with all nodes running",
                    discussion: """
                        Asks a node, which prepares the new log, has every live node confirm that it can go there, and ends \
                        the epoch with a seal; every node crosses by itself, clients see no failure. Without options the \
                        new log is BASE-e<N+1> on the same cluster. Until the seal nothing is changed.
                        """,
                    parameters: [
                        Parameters.toTopic, Parameters.toCluster, Parameters.dryRun, Parameters.json, Parameters.urls,
                        Parameters.token,
                    ],
                    examples: [
                        Example("varve epoch migrate --dry-run", "could it be done?"),
                        Example("varve epoch migrate --to-cluster b", "to another Kafka cluster"),
                    ]),
                Command(
                    "salvage", "List, and apply, what an ended epoch's log holds beyond its end",
                    discussion: """
                        For a log that came back after a bump. Ids decide: what the database knows is not applied again.
                        """,
                    parameters: [Parameters.endedEpoch, Parameters.apply, Parameters.config, Parameters.json],
                    examples: [
                        Example("varve epoch salvage --config node.yaml", "look first"),
                        Example("varve epoch salvage --apply --config node.yaml", "then apply"),
                    ]),
            ]),
        Command(
            "drill", "Break a cluster and mend it by the book",
            discussion: """
                A drill builds a cluster of its own on this machine, really breaks it, and then follows a page of \
                docs/runbooks by running the page's own commands: what they print has to be what the page says, every \
                acknowledged document has to be there or declared lost, and the nodes have to agree.
                """, section: "Operating",
            commands: [
                Command(
                    "list", "List the drills", parameters: [Parameters.json],
                    examples: [Example("varve drill list", "what each breaks, and the page it follows")]),
                Command(
                    "run", "Hold drills",
                    discussion: """
                        On the embedded broker, or with --real-kafka on a Kafka of its own: KAFKA_HOME names an unpacked \
                        distribution. Nothing that runs on this machine is touched. The pages are found beside the \
                        working directory or the program. Exit code 1 when a drill failed.
                        """,
                    parameters: [
                        Parameters.drillNames, Parameters.realKafka, Parameters.keep, Parameters.runbooks,
                        Parameters.json,
                    ],
                    examples: [
                        Example("varve drill run log-lost", "a topic is deleted, and the cluster goes on without it"),
                        Example("varve drill run all --real-kafka", "every drill, on a real Kafka"),
                    ]),
            ]),
        Command(
            "quarantine", "Skip a record that ends every process that applies it",
            discussion: """
                For a node that says POISON. Without --confirm it shows what the record is, as far as its header tells, and \
                which nodes stand before it; nothing is changed. With it, the open block is published, ending with the \
                record: every node skips it in the same way and goes on by itself, and its submission is decided as \
                aborted, with the code POISON. Refused when a live node has applied the record. A local log is held by its \
                node: stop that first. docs/runbooks/poison.md says when to use it.
                """, section: "Operating",
            parameters: [
                Parameters.poisonPosition, Parameters.confirm, Parameters.acceptAppliedLoss, Parameters.config,
                Parameters.json,
            ],
            examples: [
                Example("varve quarantine --position 0-123 --config node.yaml", "what would be skipped"),
                Example(
                    "varve quarantine --position 0-123 --confirm DIGEST --config node.yaml", "skip it, on every node"),
            ]),
        Command(
            "config", "Look at configuration", section: "Operating",
            commands: [
                Command(
                    "check", "Check a configuration file",
                    discussion: """
                        Reads it as a node would and says what is wrong, with line and key. Does not open the log; where \
                        the storage holds a database already, it is compared with the settings that hold there.
                        """,
                    parameters: [Parameters.configFile, Parameters.json],
                    examples: [Example("varve config check node.yaml", "exit code 78 when it is wrong")])
            ]),
    ]
}
