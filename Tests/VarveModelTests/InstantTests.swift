import Testing

@testable import VarveModel

@Suite("Instants and durations")
struct InstantTests {
    @Test(
        "RFC 3339 with any offset is kept as UTC and printed in 27 characters",
        arguments: [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000Z"),
            ("2026-11-21T10:00:00.000001Z", 1_795_255_200_000_001, "2026-11-21T10:00:00.000001Z"),
            ("2026-11-21T10:00:00.5Z", 1_795_255_200_500_000, "2026-11-21T10:00:00.500000Z"),
            ("2026-11-21t12:30:00+02:30", 1_795_255_200_000_000, "2026-11-21T10:00:00.000000Z"),
            ("2026-11-20T23:00:00-11:00", 1_795_255_200_000_000, "2026-11-21T10:00:00.000000Z"),
            ("2000-02-29T23:59:59.999999z", 951_868_799_999_999, "2000-02-29T23:59:59.999999Z"),
            ("1969-12-31T23:59:59.999999-00:00", -1, "1969-12-31T23:59:59.999999Z"),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ])
    func reads(text: String, microseconds: Int64, printed: String) throws {
        let instant = try #require(Instant(text))
        #expect(instant.microseconds == microseconds)
        #expect(instant.description == printed)
        #expect(Instant(printed) == instant)
    }

    @Test(
        "what is no RFC 3339 instant, no real date or out of range is refused",
        arguments: [
            "", "2026-11-21", "2026-11-21T10:00:00", "2026-11-21 10:00:00Z", "2026-11-21T10:00Z", "2026-1-21T10:00:00Z",
            "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T10:60:00Z",
            "2016-12-31T23:59:60Z", "2026-11-21T10:00:00.Z", "2026-11-21T10:00:00.0000001Z", "2026-11-21T10:00:00+2:00",
            "2026-11-21T10:00:00+02", "2026-11-21T10:00:00+24:00", "2026-11-21T10:00:00+02:60", "2026-11-21T10:00:00ZZ",
            "0000-12-31T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "+2026-11-21T10:00:00Z",
            "2026-11-21T10:00:00,5Z", "２026-11-21T10:00:00Z",
        ])
    func refuses(text: String) {
        #expect(Instant(text) == nil)
    }

    @Test("every day of four centuries is one day after the one before")
    func calendar() throws {
        var previous = try #require(Instant("1799-12-31T12:00:00Z"))
        var wrong: [String] = []
        for year in 1800...2200 {
            for month in 1...12 {
                for day in 1...31 {
                    func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
                    let text = "\(year)-\(two(month))-\(two(day))T12:00:00.000000Z"
                    guard let instant = Instant(text) else {
                        if day <= 28 { wrong.append(text) }
                        continue
                    }
                    let isNextDay = instant.microseconds - previous.microseconds == 86_400_000_000
                    if !isNextDay || instant.description != text { wrong.append(text) }
                    previous = instant
                }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test("an instant outside the years 0001 to 9999 prints and does not trap")
    func outside() {
        #expect(Instant(microseconds: .max).description == "+294247-01-10T04:00:54.775807Z")
        #expect(Instant(microseconds: .min).description == "-290308-12-21T19:59:05.224192Z")
        #expect(Instant(microseconds: Instant.latest.microseconds + 1).description == "+10000-01-01T00:00:00.000000Z")
        #expect(Instant(microseconds: Instant.earliest.microseconds - 1).description == "+0-12-31T23:59:59.999999Z")
    }

    @Test(
        "durations read and print",
        arguments: [
            ("PT10S", Duration.seconds(10), "PT10S"), ("P1DT2H", .seconds(93_600), "P1DT2H"),
            ("PT0.1S", .milliseconds(100), "PT0.1S"), ("PT4H", .seconds(14_400), "PT4H"),
            ("PT90M", .seconds(5400), "PT1H30M"), ("P2D", .seconds(172_800), "P2D"), ("PT0S", .zero, "PT0S"),
            ("PT1H0.000000001S", .seconds(3600) + .nanoseconds(1), "PT1H0.000000001S"),
            ("PT3600S", .seconds(3600), "PT1H"),
        ])
    func durations(text: String, expected: Duration, printed: String) throws {
        #expect(duration(fromISO: text) == expected)
        #expect(isoText(of: expected) == printed)
        #expect(duration(fromISO: printed) == expected)
    }

    @Test(
        "what is no duration is refused",
        arguments: [
            "", "P", "PT", "P1DT", "10S", "PT10", "PT1.5H", "P1Y", "P1M", "P1W", "PT1S1M", "PT1S2S", "-PT1S", "PT-1S",
            "PT.5S", "PT1.S", "PT0.0000000001S", "pt1s", "PT1S ", "PT999999999999999999999S", "P999999999D", "PTT1S",
        ])
    func refusedDurations(text: String) {
        #expect(duration(fromISO: text) == nil)
    }
}
