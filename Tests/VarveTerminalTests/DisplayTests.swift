import Foundation
import Synchronization
import Testing
import VarveTerminal

@Suite("Tables, progress and quantities")
struct DisplayTests {
    @Test("numbers stand to the right, texts to the left")
    func table() {
        let table = Table(["name", "age"], rows: [["Ada", "36"], ["Grace", "7"], ["Eve", ""]])
        #expect(
            table.render() == """
                name   age
                ─────  ───
                Ada     36
                Grace    7
                Eve

                """)
    }

    @Test("columns count as a terminal counts them")
    func unicode() {
        #expect(displayWidth("e\u{301}") == 1)
        #expect(displayWidth("漢字") == 4)
        #expect(displayWidth("👩‍👩‍👧") == 2)
        #expect(displayWidth("❤️") == 2)
        #expect(displayWidth("🇩🇪") == 2)
        #expect(displayWidth("─…é") == 3)
        let table = Table(["a", "b"], rows: [["漢字", "x"], ["abcde", "y"]])
        #expect(table.render() == "a      b\n─────  ─\n漢字   x\nabcde  y\n")
    }

    @Test("a table is no wider than the terminal, and the widest columns give first")
    func fits() {
        let table = Table(
            ["id", "text", "other"],
            rows: [["1", String(repeating: "x", count: 100), String(repeating: "漢", count: 30)]])
        for width in [20, 40, 79, 120] {
            let lines = table.render(width: width).split(separator: "\n")
            #expect(lines.allSatisfy { displayWidth(String($0)) <= width }, "\(width)")
            #expect(lines[2].hasPrefix(" 1  x"))
        }
        #expect(table.render().contains(String(repeating: "x", count: 100)))
        #expect(table.render(width: 40).contains("…"))
    }

    @Test("nothing of the data is obeyed by the terminal")
    func controls() {
        let text = Table(["a\u{1b}[1m"], rows: [["x\u{1b}]0;title\u{7}\ny\u{202e}z\u{9b}31m"]]).render()
        #expect(
            text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && !(0x7f...0x9f).contains($0.value)) })
        #expect(text.contains(#"x\u{1B}]0;title\u{07}\ny\u{202E}z"#))
    }

    @Test("colours only on a terminal that wants them")
    func palette() {
        #expect(Palette(isTerminal: true, environment: [:]).red("x") == "\u{1b}[31mx\u{1b}[0m")
        #expect(Palette(isTerminal: true, environment: ["NO_COLOR": ""]).isColoured)
        #expect(!Palette(isTerminal: true, environment: ["NO_COLOR": "1"]).isColoured)
        #expect(!Palette(isTerminal: true, environment: ["TERM": "dumb"]).isColoured)
        #expect(Palette(isTerminal: false, environment: [:]).red("x") == "x")
    }

    @Test("progress shows bytes, documents, rate and time left, in any width")
    func progress() {
        let half = Progress(
            label: "packages", bytes: 14_208_205, bytesTotal: 28_416_410, documents: 28_340, elapsed: .seconds(2))
        #expect(
            half.line(width: 100)
                == "packages [###########-----------]  50%  13.6 MiB of 27.1 MiB  28,340 documents  14,170/s  0:02 left"
        )
        for width in 1...120 { #expect(displayWidth(half.line(width: width)) <= width) }
        let unknown = Progress(label: "-", bytes: 512, documents: 3, elapsed: .seconds(1))
        #expect(unknown.line(width: 80) == "-  512 B  3 documents  3/s")
        #expect(Progress(label: "x", bytesTotal: 0).line(width: 80).contains("100%"))
        #expect(half.summary == "packages  28,340 documents, 13.6 MiB in 2 s (14,170/s)")
    }

    @Test("the bar is drawn at most ten times a second, only on a terminal, and taken away at the end")
    func bar() {
        let drawn = Mutex<[String]>([])
        let now = Mutex(Duration.zero)
        func bar(_ width: Int?) -> ProgressBar {
            ProgressBar(
                label: "l", bytesTotal: 100, width: { width }, elapsed: { now.withLock { $0 } },
                draw: { text in drawn.withLock { $0.append(text) } })
        }
        let shown = bar(60)
        for step in 1...100 {
            now.withLock { $0 = .milliseconds(step * 10) }
            shown.advance(bytes: 1, documents: 2)
        }
        let end = shown.finish()
        shown.advance(bytes: 1)
        #expect(end.bytes == 100 && end.documents == 200 && end.elapsed == .seconds(1))
        let lines = drawn.withLock { $0 }
        #expect(lines.count == 11)
        #expect(lines.last == "\r\u{1b}[K")
        drawn.withLock { $0 = [] }
        let hidden = bar(nil)
        hidden.update(bytes: 5, documents: 1)
        #expect(hidden.finish().bytes == 5)
        #expect(drawn.withLock { $0.isEmpty })
    }

    @Test(
        "quantities",
        arguments: [
            (Quantity.count(0), "0"), (Quantity.count(999), "999"), (Quantity.count(-63_440), "-63,440"),
            (Quantity.count(.min), "-9,223,372,036,854,775,808"), (Quantity.bytes(512), "512 B"),
            (Quantity.bytes(1536), "1.5 KiB"), (Quantity.bytes(1_048_575), "1 MiB"),
            (Quantity.bytes(27 << 20), "27 MiB"),
            (Quantity.time(.microseconds(12)), "12 µs"), (Quantity.time(.milliseconds(850)), "850 ms"),
            (Quantity.time(.milliseconds(3400)), "3.4 s"), (Quantity.time(.seconds(125)), "2 min 05 s"),
            (Quantity.time(.seconds(3720)), "1 h 02 min"), (Quantity.time(.seconds(4 * 86_400 + 3600)), "4 d 01 h"),
            (Quantity.clock(.milliseconds(2100)), "0:03"), (Quantity.clock(.seconds(3725)), "1:02:05"),
            (Quantity.rate(14_200.4), "14,200/s"), (Quantity.rate(0.25), "0.3/s"), (Quantity.rate(.nan), "–/s"),
            (Quantity.iso(.zero), "PT0S"), (Quantity.iso(.milliseconds(100)), "PT0.1S"),
            (Quantity.iso(.seconds(14_400)), "PT4H"), (Quantity.iso(.seconds(3661) + .milliseconds(500)), "PT1H1M1.5S"),
            (Quantity.iso(.milliseconds(-1500)), "-PT1.5S"),
        ])
    func quantities(shown: String, expected: String) { #expect(shown == expected) }

    @Test("a reader that went away is told apart from a disk that is full")
    func outputs() throws {
        Terminal.ignoreBrokenPipes()
        let pipe = Pipe()
        let output = Output(descriptor: pipe.fileHandleForWriting.fileDescriptor)
        try output.line("hello")
        #expect(!output.isTerminal)
        #expect(pipe.fileHandleForReading.availableData == Data("hello\n".utf8))
        try pipe.fileHandleForReading.close()
        #expect(throws: OutputError.closed) { try output.line("nobody") }
        #if os(Linux)
            let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
            #expect(throws: OutputError.failed(28)) { try Output(descriptor: full.fileDescriptor).line("x") }
        #endif
    }
}
