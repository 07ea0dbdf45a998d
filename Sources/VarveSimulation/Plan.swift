/// What a simulation is made of, drawn from its seed: sizes are small, so that rare states are common.

internal import VarveCore
internal import VarveModel

struct Plan {
    var nodes: Int
    var clients: Int
    var isLocalLog: Bool
    var settings: Settings
    var frozenBytesMax: UInt64
    /// Most records that one fetch brings, and that one request carries.
    var fetchMax: Int
    var batchMax: Int
    var keys: Int
    var tables: Int
    var retentionMs: Int64?
    var expiryMs: Int64
    /// Microseconds a client thinks.
    var think: Int
    /// How clients spend their calls.
    var mayErase: Bool
    /// Where the configuration has the logs.
    var place: LogPlace
    /// The database does not exist yet: the nodes make it.
    var isFirstStart: Bool
    /// Microseconds between two looks at the others' heartbeats; an own one comes with every second.
    var lookEvery: Int64
    /// Many keys in one block.
    var isWide: Bool
    /// How long what a collector found stays written down.
    var graceMs: Int64

    init(_ seed: UInt64) {
        var random = Random(seed, 2)
        isLocalLog = random.chance(150_000)
        nodes = isLocalLog ? 1 : random.pick([1, 2, 3, 3, 3, 4])
        clients = random.within(1...6)
        settings = Plan.settings(&random)
        frozenBytesMax = random.chance(500_000) ? 1 << 30 : UInt64(random.within(1_000...20_000))
        fetchMax = random.pick([1, 8, 64])
        batchMax = random.pick([1, 4, 32])
        keys = random.pick([3, 20, 200])
        tables = random.within(1...3)
        retentionMs = random.chance(500_000) ? nil : Int64(random.within(60_000...600_000))
        expiryMs = random.pick([0, 300_000, 2_000, 20])
        think = random.pick([500, 5_000, 50_000])
        mayErase = random.chance(500_000)
        place = isLocalLog ? LogPlace(kind: .local) : LogPlace(kind: .kafka, clusterID: "c0", base: "log")
        isFirstStart = random.chance(300_000)
        isWide = random.chance(60_000)
        if isWide {
            keys = 3_000
            tables = 1
            (settings.transactionsPerBlock, settings.rowsPerBlock, settings.bytesPerBlock) = (1_000, 100_000, 1_000_000)
        }
        lookEvery = random.pick([200_000, 1_000_000, 5_000_000])
        graceMs = random.pick([0, 200, 5_000, 60_000])
    }

    static func settings(_ random: inout Random) -> Settings {
        Settings(
            transactionsPerBlock: UInt64(random.pick([20, 60, 120, 1_000])),
            rowsPerBlock: UInt64(random.pick([30, 100, 100_000])),
            bytesPerBlock: UInt64(random.pick([3_000, 8_000, 1_000_000])),
            flushDurationMs: UInt64(random.pick([500, 5_000, 60_000, 14_400_000])),
            idsRemembered: UInt64(random.pick([2, 10, 60, 1_000_000])),
            idsRememberedMs: UInt64(random.pick([2_000, 86_400_000])))
    }
}
