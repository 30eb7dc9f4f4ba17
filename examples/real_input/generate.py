"""Writes orders.csv, the same in every run: python3 generate.py > orders.csv"""

import datetime
import random

REGIONS = ["north", "east", "south", "west", "centre"]
PRODUCTS = {"tea": 4.2, "coffee": 9.8, "cocoa": 6.5, "sugar": 1.9, "honey": 7.4, "filter": 2.3, "kettle": 38.0}

random.seed(2)
start = datetime.date(2024, 1, 1)
print("order,date,region,product,quantity,unit_price")
for order in range(1, 5001):
    date = start + datetime.timedelta(days=order * 366 // 5001)
    product = random.choice(sorted(PRODUCTS))
    price = PRODUCTS[product] * random.uniform(0.9, 1.1)
    quantity = min(int(random.paretovariate(1.3)), 200)
    print("%d,%s,%s,%s,%d,%.2f" % (order, date, random.choice(REGIONS), product, quantity, price))
