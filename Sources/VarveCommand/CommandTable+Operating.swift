// The commands of the table that operate a database: status, log, blocks, settings, epochs, drills, quarantine.

import VarveDrill
import VarveTerminal

extension CommandTable {
    static let operating = [
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
