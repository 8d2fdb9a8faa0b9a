#include <iostream>
#include <map>
#include <vector>
#include <string>
#include <algorithm>
#include <regex>
int main(){ std::map<std::string,int> m; for(int i=0;i<1000;i++) m[std::to_string(i*7919%1000)]+=i; std::vector<std::pair<int,std::string>> v; for(auto&[k,x]:m) v.push_back({x,k}); std::sort(v.begin(),v.end()); for(int i=0;i<5;i++) std::cout<<v[i].first<<" "<<v[i].second<<"\n"; }
