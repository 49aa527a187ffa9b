// Counts the words of its input, the most frequent first.
#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <vector>

int main()
{
    std::map<std::string, int> counts;
    std::string word;
    while (std::cin >> word)
        counts[word]++;
    std::vector<std::pair<std::string, int>> sorted(counts.begin(), counts.end());
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto &a, const auto &b) { return a.second > b.second; });
    for (const auto &[text, count] : sorted)
        std::cout << count << ' ' << text << '\n';
    std::cout << sorted.size() << " different words" << std::endl;
}
