// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is compiled with the same strictness (docs/architecture.md, "Layers").
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// A library of the distribution behind a system module; each has exactly one importing target.
func system(_ name: String, pkgConfig: String, apt: String, brew: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt]), .brew([brew])])
}

/// One of our targets. Arrows only go down: the list is the row "may import" of docs/architecture.md.
func layer(_ name: String, _ imports: [String] = []) -> Target {
    .target(
        name: name,
        dependencies: imports.map { .target(name: $0) },
        exclude: ["README.md"],
        swiftSettings: strict)
}

func tests(_ name: String, _ imports: [String], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name,
        dependencies: imports.map { .target(name: $0) },
        resources: resources,
        swiftSettings: strict)
}

let cLibraries: [Target] = [
    system("CRdKafka", pkgConfig: "rdkafka", apt: "librdkafka-dev", brew: "librdkafka"),
    system("CVarveSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev", brew: "sqlite"),
    system("CVarveMicroHTTPD", pkgConfig: "libmicrohttpd", apt: "libmicrohttpd-dev", brew: "libmicrohttpd"),
    system("CVarveCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev", brew: "curl"),
    system("CVarveYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev", brew: "libyaml"),
    system("CVarveNettle", pkgConfig: "nettle", apt: "nettle-dev", brew: "nettle"),
    system("CVarveZlib", pkgConfig: "zlib", apt: "zlib1g-dev", brew: "zlib"),
    .systemLibrary(name: "CVarveHeap"),
    .systemLibrary(name: "CVarveFile"),
    .target(name: "CVarveChecksum", exclude: ["README.md"]),
    .target(
        name: "CVarveYardstick", dependencies: ["CRdKafka"], path: "Benchmarks/CVarveYardstick", exclude: ["README.md"]),
]

let layers: [Target] = [
    // 0
    layer("VarveTelemetry"),
    layer("VarveModel", ["CVarveChecksum", "CVarveNettle"]),
    layer("VarveIO", ["CVarveFile"]),
    layer("VarveGzip", ["CVarveZlib"]),
    // 1
    layer("VarveCore", ["VarveModel"]),
    layer("RdKafka", ["CRdKafka"]),
    layer("VarveHTTPServer", ["CVarveMicroHTTPD", "VarveGzip"]),
    layer("VarveHTTPClient", ["CVarveCurl"]),
    layer("VarveLog", ["VarveModel", "VarveIO"]),
    layer("VarveStorage", ["VarveModel", "VarveIO"]),
    layer("VarveWire", ["VarveModel"]),
    // 2
    layer("VarveKafka", ["VarveLog", "RdKafka", "VarveModel", "VarveTelemetry"]),
    layer("VarveIndexing", ["CVarveHeap", "VarveCore", "VarveLog", "VarveStorage", "VarveModel", "VarveTelemetry"]),
    layer("VarveQuery", ["CVarveSQLite", "VarveIndexing", "VarveCore", "VarveStorage", "VarveModel"]),
    // 3
    layer(
        "VarveNode",
        [
            "VarveTelemetry", "VarveModel", "VarveIO", "VarveCore", "VarveLog", "VarveStorage", "VarveIndexing",
            "VarveQuery", "CVarveYAML",
        ]),
    // 4
    layer(
        "VarveAPI",
        [
            "VarveNode", "VarveQuery", "VarveWire", "VarveModel", "VarveHTTPServer", "VarveTelemetry",
            // For members of the values that a node answers with.
            "VarveCore", "VarveIndexing", "VarveStorage",
        ]),
    layer("VarveRecovery", ["VarveCore", "VarveLog", "VarveStorage", "VarveIndexing", "VarveModel"]),
    layer("VarveClient", ["VarveWire", "VarveModel", "VarveGzip", "VarveHTTPClient"]),
    // 5
    layer("Varve", ["VarveNode", "VarveModel", "VarveLog", "VarveQuery", "VarveTelemetry"]),
    layer("VarveTerminal"),
    layer("VarveHarness", ["RdKafka", "VarveModel", "VarveIO"]),
    layer(
        "VarveDrill",
        ["VarveClient", "VarveHarness", "VarveIO", "VarveModel", "VarveTerminal", "VarveWire", "RdKafka"]),
    // 6
    .executableTarget(
        name: "VarveCommand",
        dependencies: [
            "RdKafka", "VarveAPI", "VarveClient", "VarveDrill", "VarveHarness", "VarveHTTPServer", "VarveKafka",
            "VarveLog", "VarveModel", "VarveNode", "VarveRecovery", "VarveStorage", "VarveTelemetry", "VarveTerminal",
            "VarveWire",
            // For members of the values that plans and reports hold.
            "VarveCore",
        ],
        exclude: ["README.md"],
        swiftSettings: strict),
    .executableTarget(
        name: "VarveBenchmarks",
        dependencies: [
            "CVarveHeap", "CVarveSQLite", "CVarveYardstick", "RdKafka", "VarveClient", "VarveCore", "VarveGzip",
            "VarveHTTPClient", "VarveIO", "VarveIndexing", "VarveKafka", "VarveLog", "VarveModel", "VarveNode",
            "VarveStorage", "VarveTerminal", "VarveTestSupport", "VarveWire",
        ],
        path: "Benchmarks/VarveBenchmarks",
        swiftSettings: strict),
    .executableTarget(
        name: "VarveFuzz",
        dependencies: [
            "VarveCore", "VarveGzip", "VarveHTTPServer", "VarveKafka", "VarveLog", "VarveModel", "VarveNode",
            "VarveRecovery", "VarveStorage", "VarveWire",
        ],
        path: "Benchmarks/VarveFuzz", exclude: ["README.md"], swiftSettings: strict),
    // Never imported by layers 3 to 6.
    layer(
        "VarveSimulation", ["VarveRecovery", "VarveIndexing", "VarveCore", "VarveStorage", "VarveLog", "VarveModel"]),
    .executableTarget(
        name: "VarveSimulate", dependencies: ["VarveSimulation"], exclude: ["README.md"], swiftSettings: strict),
    .executableTarget(
        name: "VarveLogWorker", dependencies: ["VarveLog", "VarveModel", "VarveIO", "VarveTestSupport"],
        path: "Tests/VarveLogWorker", swiftSettings: strict),
    layer(
        "VarveTestSupport",
        ["VarveHarness", "VarveLog", "VarveStorage", "VarveModel", "VarveIO", "RdKafka", "VarveKafka"]),
]

let package = Package(
    name: "varve",
    products: [
        .library(name: "Varve", targets: ["Varve"]),
        .library(name: "VarveKafka", targets: ["VarveKafka"]),
        .library(name: "VarveClient", targets: ["VarveClient"]),
        .executable(name: "varve", targets: ["VarveCommand"]),
        .executable(name: "varve-bench", targets: ["VarveBenchmarks"]),
        .executable(name: "varve-fuzz", targets: ["VarveFuzz"]),
        .executable(name: "varve-simulate", targets: ["VarveSimulate"]),
    ],
    targets: cLibraries + layers + [
        tests("VarveModelTests", ["VarveModel"], resources: [.copy("Fixtures")]),
        tests("VarveTelemetryTests", ["VarveTelemetry"]),
        tests("VarveIOTests", ["VarveIO"]),
        tests("VarveTerminalTests", ["VarveTerminal"]),
        tests(
            "VarveLogTests", ["VarveLog", "VarveIO", "VarveModel", "VarveTestSupport", "VarveLogWorker"],
            resources: [.copy("Fixtures")]),
        tests(
            "VarveQueryTests",
            [
                "VarveQuery", "VarveIndexing", "VarveCore", "VarveStorage", "VarveLog", "VarveModel", "VarveTelemetry",
            ]),
        tests("VarveCoreTests", ["VarveCore", "VarveModel"]),
        tests(
            "VarveIndexingTests",
            [
                "VarveIndexing", "VarveCore", "VarveLog", "VarveStorage", "VarveModel", "VarveTelemetry",
                "VarveTestSupport",
            ]),
        tests("SimulationTests", ["VarveSimulation", "VarveSimulate"]),
        tests("RdKafkaTests", ["RdKafka"]),
        tests("VarveKafkaTests", ["VarveKafka", "VarveLog", "VarveModel", "RdKafka", "VarveTestSupport"]),
        tests(
            "KafkaTests",
            [
                "VarveKafka", "VarveLog", "VarveModel", "RdKafka", "VarveTestSupport", "VarveNode", "VarveIndexing",
                "VarveCore", "VarveStorage", "VarveTelemetry",
            ]),
        tests("VarveGzipTests", ["VarveGzip"]),
        tests("VarveTests", ["Varve"]),
        tests("VarveFuzzTests", ["VarveFuzz"]),
        tests("TidyTests", ["VarveModel", "VarveWire"]),
        tests("VarveHTTPServerTests", ["VarveHTTPServer", "VarveGzip"]),
        tests("VarveHTTPClientTests", ["VarveHTTPClient", "VarveHTTPServer"]),
        tests(
            "VarveStorageTests", ["VarveStorage", "VarveTestSupport", "VarveModel", "VarveIO"],
            resources: [.copy("Fixtures")]),
        tests(
            "ClusterTests",
            [
                "RdKafka", "VarveClient", "VarveCommand", "VarveGzip", "VarveHTTPClient", "VarveHarness", "VarveModel",
                "VarveTestSupport", "VarveWire",
            ]),
        tests(
            "VarveRecoveryTests",
            [
                "VarveRecovery", "VarveNode", "VarveCore", "VarveIndexing", "VarveIO", "VarveLog", "VarveModel",
                "VarveStorage", "VarveTelemetry", "VarveTestSupport",
            ]),
        tests("VarveWireTests", ["VarveWire", "VarveModel"]),
        tests(
            "VarveAPITests",
            [
                "VarveAPI", "VarveNode", "VarveHTTPServer", "VarveHTTPClient", "VarveGzip", "VarveWire", "VarveLog",
                "VarveStorage", "VarveModel", "VarveTelemetry",
            ]),
        tests(
            "VarveNodeTests",
            [
                "VarveNode", "VarveCore", "VarveIndexing", "VarveLog", "VarveModel", "VarveStorage", "VarveTelemetry",
                "VarveTestSupport",
            ]),
        tests(
            "VarveCommandTests",
            [
                "VarveCommand", "VarveClient", "VarveHarness", "VarveHTTPClient", "VarveHTTPServer", "VarveLog",
                "VarveModel", "VarveTerminal",
            ]),
        tests("VarveDrillTests", ["VarveDrill", "VarveModel"]),
        tests("VarveClientTests", ["VarveClient", "VarveHTTPServer", "VarveGzip", "VarveModel", "VarveWire"]),
    ]
)
