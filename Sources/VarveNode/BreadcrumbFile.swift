/// `applying` in the node's own directory: what this process is applying, for the one after it (`Breadcrumb`).
///
/// Words: 0 mark, 1 and 2 database, 3 program version, 4 and 5 first and last position being applied, 6 suspect, 7 its
/// crashes, 8 block being encoded, 9 suspect block, 10 its crashes. `none` where there is none. The order of the stores makes whatever a killed process leaves a true statement:
/// a range is complete before it counts, a suspect's number stands before its position.

internal import VarveCore
internal import VarveIO
internal import VarveIndexing
internal import VarveModel

struct BreadcrumbFile: BreadcrumbKeeper {
    static let name = "applying"

    private enum Word {
        static let (mark, high, low, version, first, last, suspect, crashes) = (0, 1, 2, 3, 4, 5, 6, 7)
        static let (encoding, suspectBlock, blockCrashes) = (8, 9, 10)
    }

    private static let none = UInt64.max
    /// `VRVAPPL1`
    private static let mark: UInt64 = 0x314c_5050_4156_5256

    private let words: SharedWords
    let found: Breadcrumb

    /// - Parameter version: of this program: what ended another one may not end this.
    init(in directory: String, database: DatabaseID, version: String) throws(IOError) {
        try Directory.create(directory)
        words = try SharedWords(Directory.join(directory, Self.name))
        let version = Digest(of: Bytes(Array(version.utf8))).first.high
        let isOurs =
            words[Word.mark] == Self.mark && words[Word.high] == database.high && words[Word.low] == database.low
        found = isOurs ? Self.read(words, isSameVersion: words[Word.version] == version) : Breadcrumb()
        words[Word.first] = Self.none
        words[Word.encoding] = Self.none
        if found.suspectBlock == nil { words[Word.suspectBlock] = Self.none }
        if found.suspect == nil { words[Word.suspect] = Self.none }
        (words[Word.high], words[Word.low], words[Word.version]) = (database.high, database.low, version)
        words[Word.mark] = Self.mark
    }

    private static func read(_ words: SharedWords, isSameVersion: Bool) -> Breadcrumb {
        func position(_ index: Int) -> Position? {
            words[index] == none ? nil : Position(packed: Int64(bitPattern: words[index]))
        }
        var found = Breadcrumb()
        if let first = position(Word.first), let last = position(Word.last), first <= last {
            found.applying = first...last
        }
        if isSameVersion, let suspect = position(Word.suspect) {
            found.suspect = Breadcrumb.Suspect(suspect, crashes: words[Word.crashes])
        }
        if isSameVersion {
            found.encoding = words[Word.encoding] == none ? nil : BlockNumber(words[Word.encoding])
            if words[Word.suspectBlock] != none {
                found.suspectBlock = Breadcrumb.SuspectBlock(
                    BlockNumber(words[Word.suspectBlock]), crashes: words[Word.blockCrashes])
            }
        }
        return found
    }

    func beginEncoding(_ block: BlockNumber) { words[Word.encoding] = block.value }
    func endEncoding() { words[Word.encoding] = Self.none }

    func suspectBlock(_ suspect: Breadcrumb.SuspectBlock?) {
        words[Word.suspectBlock] = Self.none
        guard let suspect else { return }
        words[Word.blockCrashes] = suspect.crashes
        words[Word.suspectBlock] = suspect.number.value
    }

    func begin(_ first: Position, _ last: Position) {
        words[Word.last] = UInt64(bitPattern: last.packed)
        words[Word.first] = UInt64(bitPattern: first.packed)
    }

    func end() { words[Word.first] = Self.none }

    func suspect(_ suspect: Breadcrumb.Suspect?) {
        words[Word.suspect] = Self.none
        guard let suspect else { return }
        words[Word.crashes] = suspect.crashes
        words[Word.suspect] = UInt64(bitPattern: suspect.position.packed)
    }
}
