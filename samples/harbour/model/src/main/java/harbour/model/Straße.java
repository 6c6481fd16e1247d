package harbour.model;

/** Names in many scripts. */
public final class Straße {
    String 名前 = "埠頭", été = "🚢🚢", après;
    int 𝒙 = 1, 𝒚𝒛 = 2;
    /* 🚢 */ int nachSchiff; String flagge = "🏴‍☠️"; /* ⚓ */ int nachAnker;

    Straße(String 名前) {
        this.名前 = 名前;
    }

    String été() { return été; }

    int größe(int... maße) { return maße.length; }

	int 	mitTabulatoren;

    enum Jahreszeit { FRÜHLING, ÉTÉ, 秋 }

    record Größe(int länge, String/* 🚢 */名) {}

    interface $Dollar_ { int _1 = 1, $ = 2; }
}
